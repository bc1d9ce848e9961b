// The live state of a node: events are routed in log order, whatever must be read for them; nothing is skipped in silence.

import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { isGroupEventName } from '../support/routing.ts'
