/** Pure: which member holds which replica, and what to move so that the goals hold. */
export type * from './types.ts';
export { planPlacement } from './plan.ts';
export { byNaturalOrder } from './natural-order.ts';
export { stableHash } from './hash.ts';
export { evenness } from './balance.ts';
