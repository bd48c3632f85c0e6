/**
 * The chaos run in small: a worker is killed and frozen, PostgreSQL is killed, subscribers lose their sockets, and nothing
 * shows in what is left. `npm run chaos` is the large one; a seed that failed there can be given here, too.
 */
import { test } from 'node:test'
import { carryOutGroup } from '../chaos/story.js'

test('what happens to processes does not show in what an import leaves', (t) => carryOutGroup(t, 'crash'))
