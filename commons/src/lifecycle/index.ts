/** Start and stop of programs and their parts, and what they say about their health. */
export { LifecycleGroup, type LifecycleMember } from './group.ts';
export {
  type HealthCheck,
  type HealthGate,
  type HealthKind,
  HealthRegistry,
  type HealthReport,
  type HealthResult,
} from './health.ts';
export { type MainContext, runMain } from './main.ts';
