// Owns every number that bounds what users can do: unit last in the name, the requirement beside it.
// Bounds of machinery (queues, buffers, retries) stand beside the machinery they bound.

export const limits = {
  /** Sign-in codes (R1). */
  codeDigits: 6,
  codeLifeSeconds: 300,
  codeResendSeconds: 60,
  codeWrongTriesMax: 5,
  /** A claimed phone number, e-mail address or user name that its account does not list after this may be taken over (R1). */
  identityClaimSeconds: 600,
  banReasonCharactersMax: 200,
  /** Names and texts, in characters (R3, R14, R59). */
  nameCharactersMax: 64,
  avatarUrlCharactersMax: 1_024,
  signatureCharactersMax: 256,
  profileExtensionCharactersMax: 1_024,
  userNameCharactersMin: 3,
  userNameCharactersMax: 32,
  passwordCharactersMin: 8,
  passwordCharactersMax: 128,
  groupNameCharactersMax: 64,
  textCharactersMax: 5_000,
  extCharactersMax: 1_024,
  /** What a message refers to: what its sender says of it (R60–R63). */
  messageUrlCharactersMax: 2_048,
  attachmentBytesMax: 2 ** 40,
  mediaDurationMsMax: 86_400_000,
  picturePixelsMax: 65_535,
  mediaFormatCharactersMax: 32,
  fileNameCharactersMax: 255,
  /** Places (R64), and messages of the app's own making (R67). */
  locationTitleCharactersMax: 256,
  subTypeMax: 2 ** 31 - 1,
  previewCharactersMax: 500,
  customBodyBytesMax: 16_384,
  customBodyLevelsMax: 32,
  recallReasonCharactersMax: 200,
  clientMessageIdCharactersMax: 64,
  deviceIdCharactersMax: 64,
  deviceNameCharactersMax: 64,
  /** Devices of one user that may be signed in at once (R53). */
  sessionsMax: 10,
  /** Block list (R10). */
  blockedUsersMax: 3_000,
  /** Friends (R6, R9); FRIENDS_MAX may say another number of them. */
  friendsMax: 3_000,
  friendRequestLifeSeconds: 7 * 86_400,
  friendRequestMessagesMax: 10,
  /** Requests of one user that wait for an answer. */
  friendRequestsPendingPerUserMax: 100,
  friendRequestMessageCharactersMax: 255,
  friendRejectionReasonCharactersMax: 200,
  friendRemarkCharactersMax: 64,
  friendExtensionCharactersMax: 1_024,
  /** Groups (R14, R15, R25). */
  groupMembersMin: 2,
  groupMembersDefault: 200,
  groupMembersMax: 5_000,
  groupsCreatedMax: 100,
  /** Whoever has so many is given no other one (R17). */
  groupsOwnedMax: 100,
  groupsJoinedMax: 5_000,
  groupTargetsPerCallMax: 200,
  groupAdminsMax: 10,
  groupIntroductionCharactersMax: 512,
  groupUrlCharactersMax: 1_024,
  groupExtensionCharactersMax: 1_024,
  /** Muted one by one (R21). */
  groupMutesMax: 1_000,
  /** One member in one group (R28, R48). */
  groupNicknameCharactersMax: 32,
  memberExtensionCharactersMax: 1_024,
  followedMembersMax: 50,
  /** Invitations and applications that wait for an answer, of one group and of one user, and how long they do (R16, R20, R22). */
  groupInvitationsPendingMax: 300,
  groupApplicationsPendingMax: 300,
  invitationsPendingPerUserMax: 200,
  applicationsPendingPerUserMax: 100,
  groupRequestDays: 7,
  requestMessageCharactersMax: 150,
  /** Questions of those who join (R43). */
  joinQuestionsMax: 5,
  joinQuestionCharactersMax: 200,
  joinAnswersPerQuestionMax: 10,
  joinAnswerCharactersMax: 64,
  joinScoreMax: 100,
  joinTriesPerHourMax: 5,
  /** Announcements (R40). */
  announcementCharactersMax: 1_024,
  announcementsKeptMax: 50,
  /** A sender's own recall; owner and admins of a group at any time. */
  recallWindowSeconds: 120,
  /** Read receipts (R34, X1): members a group may have that has them, RECEIPT_GROUP_MEMBERS_MAX may say another number; messages in one call. */
  receiptGroupMembersMax: 100,
  receiptsPerCallMax: 50,
  /** Pinned conversations of one user (R80). */
  pinnedConversationsMax: 100,
  /** Conversations in one clear (R72). */
  clearConversationsMax: 50,
  /** Ids in one batch query (R2). */
  usersPerQueryMax: 150,
  /** Searching users (R2). */
  userSearchCharactersMin: 2,
  userSearchResultsMax: 20,
  pageDefault: 50,
  pageMax: 100,
  /** Offline and roaming messages of one conversation in a sync (R32, R33). */
  syncMessagesPerConversationMax: 100,
  roamingDays: 7,
  /** How long messages stay in the history (R31); HISTORY_DAYS may say another number, within the most. */
  historyDays: 365,
  historyDaysMax: 1_095,
  /** Keys of the app's own backend that work at once. */
  adminKeysMax: 20,
  adminKeyNameCharactersMax: 64,
  /** Events of the log in one page of an audit. */
  auditPageMax: 500,
  /** A client's message id may be this far ahead of the server's clock. */
  clientClockAheadSecondsMax: 10,
} as const

export type Limits = { readonly [Name in keyof typeof limits]: number }
