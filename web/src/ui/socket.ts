/** The socket of what is live, for components that follow it themselves. */
import type { Client } from 'graphql-ws'
import { createContext } from 'react'

export const ApiSocket = createContext<Client | null>(null)
