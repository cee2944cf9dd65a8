/** One node: membership, collections, and the lifecycle of its shards. */
export { HostedCollection, shardIdOf } from './hosted.ts';
export { hostAndPort, type Member, parseMembers, withSelf } from './members.ts';
export type { MemberView, PeerPort } from './membership.ts';
export { createNodeMetrics, isWrite, type NodeMetrics, type Operation } from './metrics.ts';
export { GridNode } from './node.ts';
