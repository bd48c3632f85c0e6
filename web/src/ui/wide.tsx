import { useElementSize } from '@mantine/hooks'
import type { ReactNode } from 'react'

/**
 * Holds a table that may be wider than the window: it scrolls by itself, the page does not. Only where there is something to scroll can
 * it be reached with the keyboard.
 */
export function Wide({ minWidth, children }: { readonly minWidth: number; readonly children: ReactNode }) {
  const { ref, width } = useElementSize()
  const scrolls = width > 0 && width < minWidth
  return (
    <div
      ref={ref}
      className="scroll-x"
      {...(scrolls ? { tabIndex: 0, role: 'group', 'aria-label': 'Table, scrolls sideways' } : {})}
    >
      <div style={{ minWidth }}>{children}</div>
    </div>
  )
}
