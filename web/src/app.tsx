/** Who is signed in, which page is open, and the frame around it. */
import { lazy, Suspense, useEffect, useMemo } from 'react'
import { Provider } from 'urql'
import { Route, Switch, useLocation } from 'wouter'
import { createApi } from './api/client.ts'
import { forget } from './api/recorder.ts'
import { Home } from './pages/home.tsx'
import { useToken } from './session.ts'
import { Allowed } from './ui/allowed.tsx'
import { Fence } from './ui/fence.tsx'
import { Frame } from './ui/frame.tsx'
import { NotFound } from './ui/not-found.tsx'
import { needs } from './ui/permission-words.ts'
import { SignIn } from './ui/sign-in.tsx'
import { ApiSocket } from './ui/socket.ts'
import { ViewerProvider } from './ui/viewer.tsx'
import { Waiting } from './ui/waiting.tsx'

// Every page but the first is fetched when it is opened.
const Runs = lazy(async () => import('./pages/runs.tsx'))
const Run = lazy(async () => import('./pages/run.tsx'))
const NewImport = lazy(async () => import('./pages/new-import.tsx'))
const Exports = lazy(async () => import('./pages/exports.tsx'))
const Migrations = lazy(async () => import('./pages/migrations.tsx'))
const Migration = lazy(async () => import('./pages/migration.tsx'))
const Records = lazy(async () => import('./pages/records.tsx'))
const Record = lazy(async () => import('./pages/record.tsx'))
const Duplicates = lazy(async () => import('./pages/duplicates.tsx'))
const Templates = lazy(async () => import('./pages/templates.tsx'))
const Audit = lazy(async () => import('./pages/audit.tsx'))
const Settings = lazy(async () => import('./pages/settings.tsx'))

export function App() {
  const token = useToken()
  return token === null ? <SignIn /> : <SignedIn key={token} />
}

function SignedIn() {
  const api = useMemo(createApi, [])
  useEffect(() => () => api.close(), [api])
  return (
    <Provider value={api.client}>
      <ApiSocket.Provider value={api.socket}>
        <ViewerProvider>
          <Frame>
            <Pages />
          </Frame>
        </ViewerProvider>
      </ApiSocket.Provider>
    </Provider>
  )
}

function Pages() {
  const [location] = useLocation()
  useEffect(() => {
    forget()
    window.scrollTo(0, 0)
  }, [location])
  return (
    <Fence place={location}>
      <Suspense fallback={<Waiting what="the page" />}>
        <Switch>
          <Route path="/">
            <Home />
          </Route>
          <Route path="/console/runs">
            <Allowed needs={needs.runs} title="Runs">
              <Runs />
            </Allowed>
          </Route>
          <Route path="/console/runs/:id">
            {({ id }) => (
              <Allowed needs={needs.runs} title="Run">
                <Run key={id} id={id} />
              </Allowed>
            )}
          </Route>
          <Route path="/console/import">
            <Allowed needs={needs.import} title="New import">
              <NewImport />
            </Allowed>
          </Route>
          <Route path="/console/import/:id">
            {({ id }) => (
              <Allowed needs={needs.import} title="New import">
                <NewImport key={id} id={id} />
              </Allowed>
            )}
          </Route>
          <Route path="/console/exports">
            <Allowed needs={needs.exports} title="Exports">
              <Exports />
            </Allowed>
          </Route>
          <Route path="/console/migrations">
            <Allowed needs={needs.migrations} title="Migrations">
              <Migrations />
            </Allowed>
          </Route>
          <Route path="/console/integrations">
            <Allowed needs={needs.migrations} title="Migrations">
              <Migrations />
            </Allowed>
          </Route>
          <Route path="/console/migrations/:id">
            {({ id }) => (
              <Allowed needs={needs.migration} title="Migration">
                <Migration key={id} id={id} />
              </Allowed>
            )}
          </Route>
          <Route path="/console/records">
            <Allowed needs={needs.records} title="Records">
              <Records />
            </Allowed>
          </Route>
          <Route path="/console/records/:type">
            {({ type }) => (
              <Allowed needs={needs.records} title="Records">
                <Records key={type} type={type} />
              </Allowed>
            )}
          </Route>
          <Route path="/console/record/:id">
            {({ id }) => (
              <Allowed needs={needs.records} title="Record">
                <Record key={id} id={id} />
              </Allowed>
            )}
          </Route>
          <Route path="/console/duplicates">
            <Allowed needs={needs.records} title="Duplicates">
              <Duplicates />
            </Allowed>
          </Route>
          <Route path="/console/templates">
            <Templates />
          </Route>
          <Route path="/console/audit">
            <Allowed needs={needs.audit} title="Audit">
              <Audit />
            </Allowed>
          </Route>
          <Route path="/console/settings">
            <Settings />
          </Route>
          <Route path="/console/settings/:tab">{({ tab }) => <Settings tab={tab} />}</Route>
          <Route>
            <NotFound />
          </Route>
        </Switch>
      </Suspense>
    </Fence>
  )
}
