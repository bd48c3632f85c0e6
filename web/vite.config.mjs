import { fileURLToPath } from 'node:url'
import react from '@vitejs/plugin-react'

/** What the service puts a fresh nonce for, every time it hands the page out (src/server/console.ts). */
const NONCE = 'NONCE_OF_THIS_PAGE'

export default {
  root: fileURLToPath(new URL('.', import.meta.url)),
  base: '/',
  plugins: [react()],
  html: { cspNonce: NONCE },
  build: {
    outDir: process.env.PORTAGE_WEB_OUT ?? fileURLToPath(new URL('../dist/web', import.meta.url)),
    emptyOutDir: true,
    target: 'es2023',
    // No data: addresses, which the policy of the page does not let in.
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
  // `npx vite web` beside a running service, for work on the pages.
  server: { proxy: { '/graphql': { target: 'http://localhost:4000', ws: true }, '/uploads': 'http://localhost:4000' } },
  logLevel: 'warn',
}
