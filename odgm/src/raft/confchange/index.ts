export * from './changer.ts';
export { restoreMembership } from './restore.ts';
export { confChangeOf, encodeConfChange, isConfChangeV2, toConfChangeV2 } from './codec.ts';
