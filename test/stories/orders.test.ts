/** More of the chaos run in small: what people and operators ask for at bad moments, and faults at named ones. */
import { test } from 'node:test'
import { carryOutGroup } from '../chaos/story.js'

test('stops, cancels and faults at named moments leave what they should', (t) => carryOutGroup(t, 'orders'))
