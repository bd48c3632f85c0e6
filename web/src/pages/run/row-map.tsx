/** The file from its first row to its last: which stretches were created, updated, failed. */
import { Group, Text } from '@mantine/core'
import { useElementSize } from '@mantine/hooks'
import { useEffect, useRef } from 'react'
import { count, percent } from '../../ui/format.ts'
import type { Stretch } from './history.ts'

const HEIGHT = 44

const layers: readonly (readonly [keyof Stretch, string])[] = [
  ['created', '--portage-created'],
  ['updated', '--portage-updated'],
  ['unchanged', '--portage-unchanged'],
  ['skipped', '--portage-skipped'],
  ['failed', '--portage-failed'],
]

/** `rows`: of the whole file; `firstRow`: the number of the first. Failed rows are never so few that they are not seen. */
export function RowMap(props: {
  readonly stretches: readonly Stretch[]
  readonly span: number
  readonly rows: number
  readonly firstRow: number
}) {
  const { stretches, span, rows, firstRow } = props
  const canvas = useRef<HTMLCanvasElement>(null)
  const { ref, width } = useElementSize()
  useEffect(() => {
    const context = canvas.current?.getContext('2d')
    if (canvas.current === null || context === null || context === undefined || width === 0) {
      return
    }
    const scale = window.devicePixelRatio
    canvas.current.width = Math.round(width * scale)
    canvas.current.height = Math.round(HEIGHT * scale)
    const style = getComputedStyle(canvas.current)
    context.scale(scale, scale)
    context.fillStyle = style.getPropertyValue('--portage-track')
    context.fillRect(0, 0, width, HEIGHT)
    const columns = Math.max(1, Math.ceil(rows / span))
    for (const [index, stretch] of stretches.entries()) {
      // Whole pixels, so that neighbours of one color are one area.
      const left = Math.round((index / columns) * width * scale) / scale
      const right = Math.round(((index + 1) / columns) * width * scale) / scale
      const all = Math.min(span, rows - index * span)
      let top = HEIGHT
      for (const [outcome, color] of layers) {
        const exact = (stretch[outcome] / all) * HEIGHT
        const height = outcome === 'failed' && stretch.failed > 0 ? Math.max(exact, 4) : exact
        context.fillStyle = style.getPropertyValue(color)
        context.fillRect(left, Math.max(top - height, 0), Math.max(right - left, 1 / scale), height)
        top = Math.max(top - height, 0)
      }
    }
  }, [stretches, span, rows, width])
  const bad = stretches.flatMap((stretch, index) => (stretch.failed >= 0.5 ? [{ stretch, index }] : []))
  const worst = bad.toSorted((one, other) => other.stretch.failed - one.stretch.failed)[0]
  const words =
    worst === undefined
      ? 'No stretch of the file has failed rows.'
      : `Failed rows are in ${percent(bad.length / Math.max(stretches.length, 1))} of the stretches; most of them between row ${count(worst.index * span + firstRow)} and ${count(Math.min((worst.index + 1) * span, rows) + firstRow - 1)}.`
  return (
    <div ref={ref}>
      <canvas
        ref={canvas}
        style={{ width: '100%', height: HEIGHT, borderRadius: 6, display: 'block' }}
        role="img"
        aria-label={`Map of the file. ${words}`}
      />
      <Group justify="space-between" mt={4}>
        <Text size="xs" c="dimmed" className="numbers">
          First row
        </Text>
        <Text size="xs" c="dimmed" className="numbers">
          Last of {count(rows)} rows
        </Text>
      </Group>
    </div>
  )
}
