/** Keeps a fault of one page from taking the others along. */
import { Component, type ReactNode } from 'react'
import { Page, Problem } from './parts.tsx'

interface Props {
  /** Another page begins without the fault of the one before. */
  readonly place: string
  readonly children: ReactNode
}

export class Fence extends Component<Props, { readonly error: Error | null; readonly place: string }> {
  override state = { error: null as Error | null, place: this.props.place }

  static getDerivedStateFromError(error: Error): { error: Error } {
    return { error }
  }

  static getDerivedStateFromProps({ place }: Props, state: { place: string }): { error: null; place: string } | null {
    return place === state.place ? null : { error: null, place }
  }

  override render(): ReactNode {
    const { error } = this.state
    if (error === null) {
      return this.props.children
    }
    return (
      <Page title="This page has failed">
        <Problem
          title="A fault of the console"
          message={`What runs goes on; only the page has stopped. Tell whoever runs this service: ${error.message}`}
          // Also after a deploy: parts of a page that was opened before it may be gone, and come with a new one.
          again={() => location.reload()}
        />
      </Page>
    )
  }
}
