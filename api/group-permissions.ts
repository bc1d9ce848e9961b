// Owns how the table of who may do what in a group reads in the documentation: made from the domain's own table, cell by cell, so
// that neither can say what the other does not do. Decides nothing.

import { type Grant, type GroupAction, groupParties, permissions } from '../domain/group/permissions.ts'

const grantTexts: { readonly [Name in Grant]: string } = {
  yes: 'yes',
  no: '–',
  onMembers: 'not on the owner',
  onPlainMembers: 'on plain members',
  own: 'own',
  whenEveryoneInvites: 'with `inviteMode: everyone`',
  whenEveryoneEdits: 'with `editMode: everyone`',
  whenEveryoneEditsExtension: 'with `editExtensionMode: everyone`',
  whenOpenToJoin: 'unless `joinMode: nobody`',
  whenSearchable: 'with `searchable`',
  unlessMembersMuted: 'with `muteAll: none`',
  unlessEveryoneMuted: 'unless `muteAll: everyone`',
  unlessProfilesHidden: 'unless `hideMemberProfiles`',
  unlessFriendRequestsOff: 'unless `noFriendRequestsBetweenMembers`',
}

const actionTexts: { readonly [Action in GroupAction]: string } = {
  find: 'find the group by its name',
  join: 'join, or ask to be let in',
  read: 'read the group, its members and its messages',
  readMemberProfiles: 'see the profiles of members',
  send: 'send messages',
  recallMessages: 'recall messages of others',
  requestFriendship: 'ask members for friendship by way of the group',
  invite: 'add members, or invite them',
  recallInvitation: 'take invitations back',
  decideApplications: 'see and decide applications',
  editQuestions: 'set the questions of those who join',
  publishAnnouncements: 'publish announcements',
  deleteAnnouncements: 'delete announcements',
  removeMembers: 'remove members',
  muteMembers: 'mute members one by one',
  muteAllMembers: 'mute all plain members',
  muteEveryone: 'mute everyone',
  editProfile: 'change name, avatar and the texts',
  editExtension: 'change the extension',
  editAppExtension: 'change the extension of the app',
  changeModes: 'change everything else the group is set to',
  editOwnMemberProfile: 'change the own nickname and extension',
  editMemberProfiles: 'change nickname and extension of others',
  changeAdmins: 'make admins and unmake them',
  transfer: 'make another the owner',
  leave: 'leave',
  dissolve: 'dissolve the group',
}

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`

/** A table in Markdown: a row for each action, a column for each party. */
export const permissionsTable = (): string =>
  [
    row(['action', 'is to', ...groupParties]),
    row(['---', '---', ...groupParties.map(() => '---')]),
    ...Object.entries(permissions).map(([action, grants]) =>
      row([
        `\`${action}\``,
        actionTexts[action as GroupAction],
        ...groupParties.map(party => grantTexts[grants[party]]),
      ]),
    ),
  ].join('\n')

/** What the documentation says of groups as a whole. */
export const groupsDescription = `Groups, their members, and how one comes in.

Who may do what: \`stranger\` is whoever is no member, \`app\` the app's own backend with an admin key (its operations are under _admin_).
What a cell says of a mode is how the group must be set. One muted by name cannot send, whatever the role. Whoever lacks the role is told
\`group.not-allowed\` or \`group.not-owner\`; to a stranger the group is not there.

${permissionsTable()}`
