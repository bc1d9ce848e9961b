// Owns what a message says, by its type (R59–R64, R66, R67): the body of each type, and what of a message its sender chooses.
// Fields are for ever, in events and on the wire: full words, units last. Only refers to media: their bytes never pass here,
// and nothing may ever fetch a URL of a body: it is its sender's word, and may lead anywhere.

import type { MessageType } from './message-types.ts'

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject
export interface JsonObject {
  readonly [name: string]: JsonValue
}

export interface TextBody {
  readonly text: string
}

/** Where the bytes of something are, and how many. */
interface Attachment {
  readonly url: string
  readonly sizeBytes: number
}

/** In pixels. */
interface Picture {
  readonly width: number
  readonly height: number
}

export interface ImageBody extends Attachment, Picture {
  /** As the end of a file's name says it: `jpg`. */
  readonly format?: string
  /** 32 hex digits. */
  readonly md5?: string
  readonly thumbnailUrl?: string
  readonly name?: string
}

export interface AudioBody extends Attachment {
  readonly durationMs: number
  readonly format: string
}

export interface VideoBody extends Attachment, Picture {
  readonly durationMs: number
  readonly format: string
  readonly coverUrl?: string
}

export interface FileBody extends Attachment {
  readonly name: string
  /** Empty where the name has no end that says it. */
  readonly format: string
}

/** In degrees. */
export interface LocationBody {
  readonly title: string
  readonly latitude: number
  readonly longitude: number
}

/** The app's own, whole. Only its `text`, where there is one, is known: what lists show of the message. */
export type CustomBody = { readonly text?: string } & JsonObject

/** What people and apps send; a notification is the server's alone. */
export type SentType = Exclude<MessageType, 'notification'>

interface Bodies {
  readonly text: TextBody
  readonly image: ImageBody
  readonly audio: AudioBody
  readonly video: VideoBody
  readonly file: FileBody
  readonly location: LocationBody
  readonly tip: TextBody
  readonly custom: CustomBody
}

/** From 1; tells apart what the app makes of one type. Nothing else does of a custom message, so that has one. */
type SubType<Type extends SentType> = Type extends 'custom'
  ? { readonly subType: number }
  : { readonly subType?: number }

type Content<Type extends SentType> = { readonly type: Type } & SubType<Type> & {
    readonly body: Bodies[Type]
    /** The app's own data beside the body. */
    readonly ext?: string
  }

/** What of a message its sender chooses. */
export type MessageContent = { readonly [Type in SentType]: Content<Type> }[SentType]
