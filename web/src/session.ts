/**
 * Who is signed in: a token of the sign-in that comes with the address (`/#token=…`, as `npm start` prints it or as the CRM links
 * here) or is pasted. It stays in this browser until it ends or is signed out, and goes nowhere but to the service.
 */
import { useSyncExternalStore } from 'react'

const KEY = 'portage.token'
const listeners = new Set<() => void>()
let note: string | null = null

/** The token, or null while nobody is signed in. */
export function token(): string | null {
  return localStorage.getItem(KEY)
}

/** Takes the token out of the address, so that it is in no history and no screenshot. */
export function takeTokenOfAddress(): void {
  const given = new URLSearchParams(location.hash.slice(1)).get('token')
  if (given !== null && given !== '') {
    history.replaceState(null, '', location.pathname + location.search)
    signIn(given)
  }
}

/** Signs in with a token or an API key. Whether it is good is found out by the first answer. */
export function signIn(given: string): void {
  note = null
  localStorage.setItem(KEY, given.trim())
  tell()
}

/** Forgets the token; `why` is shown at the sign-in. */
export function signOut(why: string | null = null): void {
  note = why
  localStorage.removeItem(KEY)
  tell()
}

/** Why the last session ended, or null. */
export function signOutNote(): string | null {
  return note
}

/** The token as state of a component: changes when somebody signs in or out, in another tab too. */
export function useToken(): string | null {
  return useSyncExternalStore(subscribe, token)
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  window.addEventListener('storage', listener)
  return () => {
    listeners.delete(listener)
    window.removeEventListener('storage', listener)
  }
}

function tell(): void {
  for (const listener of listeners) {
    listener()
  }
}
