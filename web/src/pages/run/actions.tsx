/** What may be done with a run now. */
import { Button } from '@mantine/core'
import { useState } from 'react'
import { RunCancelDocument, type RunInListFragment, RunPauseDocument, RunResumeDocument } from '../../api/generated.ts'
import { useAct } from '../../ui/act.ts'
import { AskFirst } from '../../ui/confirm.tsx'
import { GoButton } from '../../ui/parts.tsx'
import { kindInWords } from '../../ui/run-words.ts'

/** `onDone`: something was asked of the run, read it again. */
export function RunActions({ run, onDone }: { readonly run: RunInListFragment; readonly onDone: () => void }) {
  const [pause] = useAct(RunPauseDocument)
  const [resume] = useAct(RunResumeDocument)
  const [cancel] = useAct(RunCancelDocument)
  // Asked for, and the run has not said yet that it is so.
  const [asked, setAsked] = useState<{ readonly what: string; readonly status: string } | null>(null)
  const waiting = asked !== null && asked.status === run.status ? asked.what : null
  const can = (action: RunInListFragment['availableActions'][number]) => run.availableActions.includes(action)
  const input = { input: { runId: run.id } }
  const ask = async (what: string, act: typeof pause | typeof resume | typeof cancel): Promise<void> => {
    setAsked({ what, status: run.status })
    if ((await act(input)).payload === null) {
      setAsked(null)
    }
    onDone()
  }
  return (
    <>
      {(can('MAP') || can('CONFIRM') || can('PLAN')) && run.kind === 'IMPORT' && (
        <GoButton href={`/console/import/${run.id}`}>
          {can('CONFIRM') ? 'Look at the plan' : 'Match the columns'}
        </GoButton>
      )}
      {can('PAUSE') && (
        <Button variant="default" loading={waiting === 'pause'} onClick={() => void ask('pause', pause)}>
          Pause
        </Button>
      )}
      {can('RESUME') && (
        <Button loading={waiting === 'resume'} onClick={() => void ask('resume', resume)}>
          Resume
        </Button>
      )}
      {can('CANCEL') && (
        <AskFirst
          action="Cancel the run"
          title="Cancel this run?"
          onYes={async () => ask('cancel', cancel)}
          disabled={waiting === 'cancel'}
        >
          The {kindInWords(run.kind).toLowerCase()} stops after the rows that it has in hand. What is settled stays, and
          can be rolled back; the rest can be had as a file.
        </AskFirst>
      )}
    </>
  )
}
