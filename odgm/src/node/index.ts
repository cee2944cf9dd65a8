/** One node: membership, collections, and the lifecycle of its shards. */
export { checkOptions } from './collection.ts';
export { HostedCollection } from './hosted.ts';
export { type JoinPort, listedSeeds, type Seed, type Seeds } from './join.ts';
export { hostAndPort, type Member, parseMembers, withSelf } from './members.ts';
export { createNodeMetrics, isWrite, type NodeMetrics, type Operation, operations } from './metrics.ts';
export { GridNode, type Located } from './node.ts';
export type { MemberView, ReportPort } from './reports.ts';
