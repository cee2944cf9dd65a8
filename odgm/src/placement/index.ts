/** Pure: object -> partition -> replicas. */
export { byNaturalOrder, type Placement, type PlacementInput, placePartitions } from './placement.ts';
export { stableHash } from './hash.ts';
