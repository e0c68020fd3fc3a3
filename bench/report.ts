/**
 * What was measured, for people: tables for a terminal and for Markdown, and charts.
 */
import { init } from 'echarts'
import { cpuOf, type Run, rateOf, rssOf, type Sample, sample } from './measure.ts'

export interface Table {
  readonly title: string
  readonly columns: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

/** Horizontal bars. */
export interface Chart {
  readonly title: string
  /** What a bar's length means. */
  readonly unit: string
  readonly bars: readonly { readonly label: string; readonly value: Sample; ours?: boolean }[]
}

export interface Goal {
  readonly goal: string
  readonly measured: string
  readonly met: boolean
}

/** What a scenario found. */
export interface Outcome {
  readonly title: string
  /** What was done, in a sentence or two. */
  readonly about: string
  readonly tables: readonly Table[]
  readonly chart: Chart
  readonly goals: readonly Goal[]
}

/** A goal that a figure must keep. */
export const atLeast = (goal: string, value: number, least: number, unit = ''): Goal => ({
  goal,
  measured: `${figure(value)}${unit}`,
  met: value >= least,
})

export const atMost = (goal: string, value: number, most: number, unit = ''): Goal => ({
  goal,
  measured: `${figure(value)}${unit}`,
  met: value <= most,
})

/** Three digits that count. */
export const figure = (value: number): string => {
  if (!Number.isFinite(value)) return '–'
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2
  return value.toFixed(digits)
}

/** A median with the least and the most. */
export const spread = ({ median, min, max }: Sample): string =>
  `${figure(median)} (${figure(min)}–${figure(max)})`

/** What `COSTS` name, for a row of a table. */
export const costsOf = (runs: readonly Run[]): string[] =>
  [rateOf, cpuOf, rssOf].map(figureOf => spread(sample(runs, figureOf)))

export const COSTS = ['MiB/s', 'CPU s/GiB', 'peak RSS MiB']

/** Markdown that reads as well on a terminal. */
export const render = ({ columns, rows }: Pick<Table, 'columns' | 'rows'>): string => {
  const lines = [columns, ...rows]
  const widths = columns.map((_, at) => Math.max(...lines.map(line => line[at]?.length ?? 0)))
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`
  const rule = `|${widths.map(width => '-'.repeat(width + 2)).join('|')}|`
  return [line(columns), rule, ...rows.map(line)].join('\n')
}

export const renderGoals = (goals: readonly Goal[]): string =>
  render({
    columns: ['goal', 'measured', ''],
    rows: goals.map(({ goal, measured, met }) => [goal, measured, met ? 'met' : 'missed']),
  })

export const drawChart = ({ title, unit, bars }: Chart): string => {
  const height = 90 + 34 * bars.length
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: 760, height })
  const rows = bars.toReversed()
  chart.setOption({
    animation: false,
    backgroundColor: '#fff',
    title: { text: title, left: 12, top: 8, textStyle: { fontSize: 15 } },
    grid: { left: 12, right: 90, top: 44, bottom: 34, containLabel: true },
    xAxis: { type: 'value', name: unit, nameLocation: 'middle', nameGap: 24 },
    yAxis: { type: 'category', data: rows.map(({ label }) => label), axisTick: { show: false } },
    series: [
      {
        type: 'bar',
        barWidth: 20,
        data: rows.map(({ value, ours }) => ({
          value: value.median,
          itemStyle: { color: ours ? '#5b53ff' : '#b8bcc8' },
          label: { show: true, position: 'right', formatter: figure(value.median) },
        })),
      },
    ],
  })
  const svg = chart.renderToSVGString()
  chart.dispose() // Else its clock would keep the process alive.
  return `${svg}\n`
}
