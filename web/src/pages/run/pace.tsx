/** How fast the rows go, over time. */
import 'uplot/dist/uPlot.min.css'
import { useMantineColorScheme } from '@mantine/core'
import { useElementSize } from '@mantine/hooks'
import { useEffect, useRef } from 'react'
import uPlot from 'uplot'
import { clockTime, count } from '../../ui/format.ts'
import type { History } from './history.ts'

const HEIGHT = 180

/** Rows per second between one point and the next, and rows that have failed until then. */
function seriesOf(points: History['points']): [number[], number[], number[]] {
  const [times, paces, failed]: [number[], number[], number[]] = [[], [], []]
  for (const [index, point] of points.entries()) {
    const before = points[index - 1]
    if (before !== undefined && point.at > before.at) {
      times.push(point.at / 1000)
      paces.push(((point.rows - before.rows) * 1000) / (point.at - before.at))
      failed.push(point.failed)
    }
  }
  return [times, paces, failed]
}

export function Pace({ points, version }: { readonly points: History['points']; readonly version: number }) {
  const holder = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | null>(null)
  const { ref, width } = useElementSize()
  const { colorScheme } = useMantineColorScheme()
  const data = seriesOf(points)
  const latest = useRef(data)
  latest.current = data
  useEffect(() => {
    const element = holder.current
    if (element === null || width === 0) {
      return
    }
    const style = getComputedStyle(element)
    const color = (name: string) => style.getPropertyValue(name)
    const axis = { stroke: color('--mantine-color-dimmed'), grid: { stroke: color('--portage-track') } }
    plot.current = new uPlot(
      {
        width,
        height: HEIGHT,
        legend: { show: false },
        cursor: { show: false },
        scales: {
          x: { time: true },
          rows: { range: (_, __, max) => [0, Math.max(max * 1.1, 1)] },
          failed: { range: (_, __, max) => [0, Math.max(max * 1.1, 1)] },
        },
        axes: [
          { ...axis, space: 90, values: (_, splits) => splits.map((seconds) => clockTime(seconds * 1000)) },
          { ...axis, scale: 'rows', size: 70, values: (_, values) => values.map((value) => count(value)) },
          {
            ...axis,
            scale: 'failed',
            side: 1,
            size: 60,
            grid: { show: false },
            values: (_, values) => values.map((value) => (Number.isInteger(value) ? count(value) : '')),
          },
        ],
        series: [
          {},
          {
            label: 'Rows per second',
            scale: 'rows',
            stroke: color('--portage-updated'),
            width: 2,
            points: { show: false },
          },
          {
            label: 'Failed rows',
            scale: 'failed',
            stroke: color('--portage-failed'),
            width: 1.5,
            dash: [4, 3],
            points: { show: false },
          },
        ],
      },
      latest.current,
      element,
    )
    return () => {
      plot.current?.destroy()
      plot.current = null
    }
  }, [width, colorScheme])
  useEffect(() => {
    plot.current?.setData(latest.current)
  }, [version])
  const [, paces, failed] = data
  const fastest = paces.reduce((most, each) => Math.max(most, each), 0)
  return (
    <div ref={ref}>
      <div
        ref={holder}
        role="img"
        style={{ minHeight: HEIGHT }}
        aria-label={`Pace of the run: up to ${count(Math.round(fastest))} rows per second, ${count(failed.at(-1) ?? 0)} failed rows`}
      />
    </div>
  )
}
