// Owns what the server says of itself to clients: where the socket is, which version, every limit.

import { z } from 'zod'
import { socketLimits } from '../domain/frames.ts'
import { limits } from '../domain/limits.ts'
import { afterMsMax } from './execution.ts'
import { bodyBytesMax } from './http-errors.ts'
import { type Operation, operation } from './operation.ts'
import { rateLimits } from './rate-limits.ts'
import { accessTokenSeconds } from './tokens.ts'

/** What is not to be found in domain/limits.ts but meets clients all the same. */
const edgeLimits = { bodyBytesMax, afterMsMax, accessTokenSeconds, ...socketLimits } as const

const rate = z.object({ burst: z.number(), perMinute: z.number() })

/** What anybody may know of the server. */
export const infoOperations: readonly Operation[] = [
  operation({
    id: 'getServer',
    method: 'GET',
    path: '/v1/server',
    tag: 'server',
    summary: 'Version, address of the socket, limits',
    callers: ['anonymous'],
    frame: false,
    limit: 'queries',
    status: 200,
    reply: z.object({
      version: z.string(),
      socketUrl: z.string(),
      serverTime: z.string().meta({ format: 'date-time' }),
      devicePolicy: z.enum(['one', 'desktopAndMobile', 'many']),
      userNameSignUp: z.boolean(),
      channels: z.array(z.enum(['sms', 'email'])).meta({ description: 'Ways on which this server sends codes.' }),
      limits: z.record(z.string(), z.number()),
      rateLimits: z
        .record(z.string(), z.object({ caller: rate.optional(), address: rate, target: rate.optional() }))
        .nullable()
        .meta({ description: 'By class of operation; null when they are off.' }),
    }),
    rejections: [],
    example: {
      reply: {
        version: '0.1.0',
        socketUrl: 'ws://127.0.0.1:8081/v1/realtime',
        serverTime: '2026-11-23T08:15:30.123Z',
        devicePolicy: 'many',
        userNameSignUp: true,
        channels: ['email'],
        limits: { ...limits, ...edgeLimits },
        rateLimits,
      },
    },
    run: ({ settings, node, codes, rateLimits: buckets }) => ({
      version: settings.version,
      socketUrl: settings.socketUrl(),
      serverTime: node.clock.now(),
      devicePolicy: settings.devicePolicy,
      userNameSignUp: settings.userNameSignUp,
      channels: (['sms', 'email'] as const).filter(channel => codes.serves(channel)),
      limits: {
        ...limits,
        friendsMax: settings.friendsMax,
        historyDays: settings.historyDays,
        receiptGroupMembersMax: settings.receiptGroupMembersMax,
        ...edgeLimits,
      },
      rateLimits: buckets.on ? rateLimits : null,
    }),
  }),
]
