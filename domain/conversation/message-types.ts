// Owns which types of messages there are (R59–R67) and which of them count as unread. Names only: what a body holds of each
// type is said beside the event.

/** The type of a message, in the order of the requirements. Names are for ever. */
export const messageTypes = [
  'text',
  'image',
  'audio',
  'video',
  'file',
  'location',
  'notification',
  'tip',
  'custom',
] as const
export type MessageType = (typeof messageTypes)[number]

const countsAsUnread: Readonly<Record<MessageType, boolean>> = {
  text: true,
  image: true,
  audio: true,
  video: true,
  file: true,
  location: true,
  notification: false,
  tip: false,
  custom: true,
}

/** Whether a message counts as unread for those who did not send it: what the server tells (R65) and tips (R66) do not. */
export const counts = ({ type }: { readonly type: MessageType }): boolean => countsAsUnread[type]
