/** The roles of the service. None of them owns what it reads, and none can bypass row-level security. */
export const OWNER_ROLE = 'portage_owner'
export const API_ROLE = 'portage_api'
export const WORKER_ROLE = 'portage_worker'

/**
 * `url` with the user and password of one of our roles. A URL that names one of them already is left as it is: whoever
 * set it up manages those passwords.
 */
export function roleUrl(url: string, role: typeof API_ROLE | typeof WORKER_ROLE, password: string): string {
  const parsed = new URL(url)
  if (parsed.username === API_ROLE || parsed.username === WORKER_ROLE) {
    return url
  }
  parsed.username = role
  parsed.password = password
  return parsed.href
}
