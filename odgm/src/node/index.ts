/** One node: membership, collections, and the lifecycle of its shards. */
export { type CollectionSpec, type FunctionRoute } from './collection.ts';
export { HostedCollection, shardIdOf } from './hosted.ts';
export { hostAndPort, type Member, parseMembers, withSelf } from './members.ts';
export type { MemberState, MemberView, PeerPort } from './membership.ts';
export { createNodeMetrics, isWrite, type NodeMetrics, type Operation, operations } from './metrics.ts';
export { GridNode, type Located, type NodeOptions } from './node.ts';
