/**
 * Imported first in the sandbox: takes away what Node's permission model leaves (measured with 24.21: sockets, named pipes
 * and signals to other processes are allowed under `--permission`). Where the kernel gives the child no network either, this
 * is the second wall; where it cannot, it is the only one.
 */
import dgram from 'node:dgram'
import dns from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'
import net from 'node:net'
import './even-utf16.js'

function denied(): never {
  throw Object.assign(new Error('This is not allowed in the sandbox.'), { code: 'ERR_ACCESS_DENIED' })
}

function take(target: object, ...names: readonly string[]): void {
  for (const name of names) {
    Object.defineProperty(target, name, { value: denied, writable: false, configurable: false })
  }
}

take(net.Socket.prototype, 'connect')
take(net.Server.prototype, 'listen')
take(net, 'connect', 'createConnection', 'createServer')
take(dgram, 'createSocket', 'Socket')
take(dns, 'lookup', 'resolve', 'resolve4', 'resolve6', 'resolveAny', 'resolveTxt', 'reverse')
take(dns.promises, 'lookup', 'resolve', 'resolve4', 'resolve6', 'resolveAny', 'resolveTxt', 'reverse')
take(globalThis, 'fetch', 'WebSocket', 'EventSource')
take(process, 'kill', '_kill', '_debugProcess', 'dlopen', 'binding', '_linkedBinding')
syncBuiltinESMExports()
