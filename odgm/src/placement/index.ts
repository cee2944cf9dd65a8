/** Pure: object -> partition -> replicas. */
export { byNaturalOrder, placePartitions } from './placement.ts';
export { stableHash } from './hash.ts';
