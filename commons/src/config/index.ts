/** Configuration, read once: defaults < profile < file < environment < flags; printable, with the origin of each value. */
export { type DeepPartial, type DeepReadonly, loadConfig, type LoadConfigOptions, type LoadedConfig } from './load.ts';
export { duration, secret } from './fields.ts';
export {
  type CollectionOptionProblem,
  collectionOptionProblems,
  collectionOptionsHelp,
  type CollectionOptionValues,
  collectionOptionValues,
  isCollectionOption,
} from './collection-options.ts';
export type { ConfigProblem } from './problems.ts';
