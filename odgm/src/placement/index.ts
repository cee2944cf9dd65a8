/** Pure: object -> partition -> replicas. */
export type * from './types.ts';
export { byNaturalOrder, placePartitions } from './placement.ts';
export { stableHash } from './hash.ts';
