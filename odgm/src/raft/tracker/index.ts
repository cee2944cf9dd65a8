export { Inflights } from './inflights.ts';
export { Progress } from './progress.ts';
export { type Configuration, emptyConfiguration, isJoint, Tracker } from './tracker.ts';
