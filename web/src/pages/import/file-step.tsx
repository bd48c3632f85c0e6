/** Choosing a file and the kind of records in it; and bringing it here. */
import { Button, Group, Progress, SegmentedControl, Stack, Text } from '@mantine/core'
import { type DragEvent, useRef, useState } from 'react'
import { useClient } from 'urql'
import { bytes, percent } from '../../ui/format.ts'
import { Problem, Section } from '../../ui/parts.tsx'
import { recordTypeChoices } from '../../ui/record-types.ts'
import type { RecordType } from './draft.ts'
import { type UploadProgress, upload } from './upload.ts'

const stageWords: Readonly<Record<UploadProgress['stage'], string>> = {
  reading: 'Reading the file, so that it is known to arrive whole',
  sending: 'Sending',
  checking: 'It has arrived and is looked at',
}

export function FileStep({
  onUploaded,
}: {
  readonly onUploaded: (fileId: string, recordType: RecordType | null) => void
}) {
  const client = useClient()
  const input = useRef<HTMLInputElement>(null)
  const stopper = useRef<AbortController | null>(null)
  const [over, setOver] = useState(false)
  const [recordType, setRecordType] = useState<RecordType | 'GUESS'>('GUESS')
  const [file, setFile] = useState<File | null>(null)
  const [progress, setProgress] = useState<UploadProgress | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  const bring = async (chosen: File): Promise<void> => {
    setFile(chosen)
    setProblem(null)
    stopper.current = new AbortController()
    try {
      if (chosen.size === 0) {
        throw new Error('The file is empty: there is nothing in it to import.')
      }
      const fileId = await upload(client, chosen, setProgress, stopper.current.signal)
      onUploaded(fileId, recordType === 'GUESS' ? null : recordType)
    } catch (error) {
      if (!stopper.current.signal.aborted) {
        setProblem(error instanceof Error ? error.message : String(error))
      }
      setProgress(null)
    }
  }
  const drop = (event: DragEvent): void => {
    event.preventDefault()
    setOver(false)
    const [dropped] = event.dataTransfer.files
    if (dropped !== undefined && progress === null) {
      void bring(dropped)
    }
  }
  return (
    <Section
      title="The file"
      note="CSV, Excel (xlsx, xls, xlsb, ods), JSON or NDJSON; also packed as gzip or zip. It may be large."
    >
      <Stack>
        {problem !== null && (
          <Problem
            title={file === null ? 'The file did not arrive' : `${file.name} did not arrive`}
            message={problem}
            again={file === null ? undefined : () => void bring(file)}
          />
        )}
        <div>
          <Text size="sm" fw={600} mb={4} id="records-in-it">
            Records in it
          </Text>
          <div className="scroll-x">
            <SegmentedControl
              aria-labelledby="records-in-it"
              value={recordType}
              onChange={(value) => setRecordType(value as RecordType | 'GUESS')}
              disabled={progress !== null}
              data={[{ value: 'GUESS', label: 'Find out' }, ...recordTypeChoices]}
            />
          </div>
        </div>
        <input
          ref={input}
          type="file"
          className="visually-hidden"
          tabIndex={-1}
          aria-label="The file"
          accept=".csv,.tsv,.txt,.xlsx,.xls,.xlsb,.ods,.json,.ndjson,.jsonl,.gz,.zip"
          onChange={(event) => {
            const [chosen] = event.currentTarget.files ?? []
            event.currentTarget.value = ''
            if (chosen !== undefined) {
              void bring(chosen)
            }
          }}
        />
        {progress === null ? (
          <Stack
            align="center"
            justify="center"
            className="drop-place"
            data-over={over || undefined}
            onDragOver={(event) => {
              event.preventDefault()
              setOver(true)
            }}
            onDragLeave={() => setOver(false)}
            onDrop={drop}
          >
            <Text>Drop a file here, or</Text>
            <Button onClick={() => input.current?.click()}>Choose a file</Button>
            <Text size="sm" c="dimmed">
              Nothing is written before you have seen the plan and confirmed it.
            </Text>
          </Stack>
        ) : (
          <Stack gap="xs" role="status">
            <Text>
              {file?.name}, {bytes(file?.size)}
            </Text>
            <Progress
              value={progress.fraction * 100}
              animated={progress.stage === 'checking'}
              aria-label={stageWords[progress.stage]}
            />
            <Group justify="space-between">
              <Text size="sm" c="dimmed">
                {progress.waiting
                  ? 'The connection is away. It goes on by itself where it stopped.'
                  : `${stageWords[progress.stage]}: ${percent(progress.fraction)}`}
              </Text>
              <Button
                size="xs"
                variant="default"
                onClick={() => {
                  stopper.current?.abort()
                  setProgress(null)
                }}
              >
                Stop
              </Button>
            </Group>
          </Stack>
        )}
      </Stack>
    </Section>
  )
}
