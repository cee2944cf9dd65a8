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
export * from './identity.ts';
export { quantityOf } from './quantity.ts';
export * from './schema.ts';
export {
  type ConditionInput,
  type ConditionType,
  conditionTypes,
  findCondition,
  kstatus,
  type KStatus,
  type Reason,
  reasons,
  removeCondition,
  setCondition,
} from './conditions.ts';
export { sourceToWire, specToUnit, unitToSpec } from './convert.ts';
export { type CustomResourceDefinition, customResourceDefinitions } from './crds.ts';
export { crdFiles } from './crd-files.ts';
