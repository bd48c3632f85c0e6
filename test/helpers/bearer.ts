import { VendorUnauthorized } from '../../src/adapters/http/errors.js'
import { type IntegrationDoor, withAccessToken } from '../../src/runs/integration-access.js'

/** Asks the vendor with the integration's token, without budget and further tries. Answers `answer` or the code of the error. */
export function askOnce(door: IntegrationDoor, tenantId: string, integrationId: string): Promise<string> {
  return withAccessToken(door, tenantId, integrationId, async ({ origin, token }) => {
    const response = await fetch(`${origin}/x`, { headers: { authorization: `Bearer ${token.reveal()}` } })
    await response.text()
    if (response.status === 401) {
      throw new VendorUnauthorized({ code: 'EXPIRED', message: 'expired', status: 401 })
    }
    return 'answer'
  }).catch((error: unknown) => String((error as { code?: unknown }).code))
}
