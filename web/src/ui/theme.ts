/** Colours and shapes. Text keeps a contrast of 4.5 to 1 in both schemes (WCAG 2.2, 1.4.3). */
import { type CSSVariablesResolver, createTheme, type MantineColorsTuple } from '@mantine/core'

const tide: MantineColorsTuple = [
  '#e6f6f8',
  '#d3ebef',
  '#a7d6de',
  '#77c0cd',
  '#50adbe',
  '#36a1b4',
  '#2393a8',
  '#0b7285',
  '#0b6374',
  '#085260',
]

export const theme = createTheme({
  primaryColor: 'tide',
  primaryShade: { light: 7, dark: 7 },
  colors: { tide },
  autoContrast: true,
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif',
  fontFamilyMonospace: 'ui-monospace, SFMono-Regular, Menlo, Consolas, monospace',
  defaultRadius: 'md',
  cursorType: 'pointer',
  headings: { sizes: { h1: { fontSize: '1.5rem' }, h2: { fontSize: '1.15rem' }, h3: { fontSize: '1rem' } } },
})

/** Mantine's own greys and reds for small text are too pale on a white page. */
export const variables: CSSVariablesResolver = ({ colors }) => ({
  variables: {},
  light: {
    '--mantine-color-dimmed': '#495057',
    '--mantine-color-placeholder': '#6a7178',
    '--mantine-color-error': '#c92a2a',
    '--mantine-color-anchor': colors.tide?.[8] ?? '',
    '--portage-created': '#2b8a3e',
    '--portage-updated': '#1864ab',
    '--portage-unchanged': '#868e96',
    '--portage-skipped': '#d9a400',
    '--portage-failed': '#c92a2a',
    '--portage-other': '#5f3dc4',
    '--portage-track': '#e9ecef',
    '--portage-page': '#f8f9fa',
  },
  dark: {
    // Mantine's own is the colour of a card, so that a button would be no button.
    '--mantine-color-disabled': '#3b3b3b',
    '--mantine-color-dimmed': '#b8bcc2',
    '--mantine-color-placeholder': '#9aa0a6',
    '--mantine-color-error': '#ff8787',
    '--mantine-color-anchor': colors.tide?.[3] ?? '',
    '--portage-created': '#51cf66',
    '--portage-updated': '#4dabf7',
    '--portage-unchanged': '#909296',
    '--portage-skipped': '#fcc419',
    '--portage-failed': '#ff6b6b',
    '--portage-other': '#b197fc',
    '--portage-track': '#373a40',
    '--portage-page': '#1a1b1e',
  },
})
