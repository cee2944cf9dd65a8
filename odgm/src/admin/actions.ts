/** What audit records call the calls that change something, whichever way they came. */
export const actions = {
  createCollection: 'collection.create',
  deleteCollection: 'collection.delete',
  recordVersion: 'version.record',
  labelVersion: 'version.label',
  createBranch: 'branch.create',
  deleteBranch: 'branch.delete',
  writeBranch: 'branch.write',
  mergeBranch: 'branch.merge',
  /** A task of this kind, whichever path begins it. */
  startTask: (kind: string) => `task.start.${kind}`,
  updateTask: 'task.throttle',
  cancelTask: 'task.cancel',
  replayDeadLetters: 'dead-letter.replay',
  purgeDeadLetters: 'dead-letter.purge',
  recommissionMember: 'member.recommission',
  removeMember: 'member.delete',
  changeSettings: 'grid.settings',
} as const;

/** The name, or how it follows from the query of a call. */
export type Action = string | ((query: Readonly<Record<string, string>>) => string);

/** Options of a route whose calls are recorded under that name. */
export function audited(action: Action): { readonly config: { readonly action: Action } } {
  return { config: { action } };
}
