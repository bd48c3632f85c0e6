import '@mantine/core/styles.css'
import './ui/styles.css'
import { MantineProvider } from '@mantine/core'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { App } from './app.tsx'
import { takeTokenOfAddress } from './session.ts'
import { theme, variables } from './ui/theme.ts'

takeTokenOfAddress()

/** The nonce of this very page, under which the policy of the service lets styles in. */
const nonce = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? ''

// Dialogs write a style of their own, which keeps the page behind them still; its library looks for the nonce here.
Object.assign(window, { __webpack_nonce__: nonce })

const root = document.getElementById('root')
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <MantineProvider
        theme={theme}
        cssVariablesResolver={variables}
        defaultColorScheme="auto"
        getStyleNonce={() => nonce}
      >
        <App />
      </MantineProvider>
    </StrictMode>,
  )
}
