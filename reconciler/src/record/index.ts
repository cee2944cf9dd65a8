/** DeploymentRecord, DeploymentTemplate and EnvironmentConfig: names, layout, types, conditions, CRDs. */
export { type ChildNames, childNames, isUnitId, unitId } from './names.ts';
export {
  type CollectionLayout,
  collectionName,
  type Durability,
  gridLayout,
  type GridLayout,
  layoutBounds,
  type LayoutInput,
  replicationFactorFor,
  type ShardType,
  shardTypes,
} from './layout.ts';
