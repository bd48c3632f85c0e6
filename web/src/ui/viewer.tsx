/** Who looks at the page, and what they may do. */
import { Center } from '@mantine/core'
import { createContext, type ReactNode, useContext } from 'react'
import { useQuery } from 'urql'
import { trouble } from '../api/client.ts'
import { ViewerDocument, type ViewerQuery } from '../api/generated.ts'
import { Problem } from './parts.tsx'
import { Waiting } from './waiting.tsx'

type Viewer = ViewerQuery['viewer']

const Context = createContext<Viewer | null>(null)

/** Asks who is signed in before anything else is shown. */
export function ViewerProvider({ children }: { readonly children: ReactNode }) {
  const [result, again] = useQuery({ query: ViewerDocument })
  if (result.data !== undefined) {
    return <Context.Provider value={result.data.viewer}>{children}</Context.Provider>
  }
  const message = trouble(result)
  return (
    <Center mih="100vh" p="md" component="main">
      {message === null ? (
        <Waiting what="who you are" />
      ) : (
        <Problem message={message} again={() => again({ requestPolicy: 'network-only' })} />
      )}
    </Center>
  )
}

/** Who is signed in. */
export function useViewer(): Viewer {
  const viewer = useContext(Context)
  if (viewer === null) {
    throw new Error('There is no viewer above this component.')
  }
  return viewer
}

/** Whether the viewer has a permission. What may not be done is not offered; the service checks all the same. */
export function useMay(): (permission: Viewer['permissions'][number]) => boolean {
  const { permissions } = useViewer()
  return (permission) => permissions.includes(permission)
}
