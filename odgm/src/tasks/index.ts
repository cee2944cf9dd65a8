/** Long actions on the grid as resumable tasks: rebalance, drain, repair, replica count, consistency check. */
export type * from './types.ts';
export { defaultStepLimits, newMemory, nextStep } from './steps.ts';
export { withOutstanding } from './outstanding.ts';
export { beginning, moveOutcome, takeTurns, type TaskTurn, throttleOf } from './schedule.ts';
export { takeTokens, type TokenBucket } from './throttle.ts';
export { addSample, type Progress, progressOf, type ProgressSample } from './progress.ts';
export { decideTriggers, type TriggerMemory, type Wish } from './triggers.ts';
export { classifyRaft, differingObjects, type RaftCheckAnswer, type RaftCheckOutcome } from './check-raft.ts';
export {
  classifyEventual,
  type EntryState,
  type EventualOptions,
  type EventualOutcome,
  type EventualSample,
} from './check-eventual.ts';
export { checkFinding, type NameOf } from './check-findings.ts';
export { CheckService, type CheckServiceOptions } from './check-service.ts';
export { type CheckerOptions, ConsistencyChecker } from './checks.ts';
export { Scrubber, type ScrubberOptions } from './scrubber.ts';
export { type CheckControl, type CoordinatorOptions, type ShardChecker, TaskCoordinator } from './coordinator.ts';
export { type PlannedTask, planTask, type TaskWish } from './planner.ts';
export { type LocalShards, type ShardObservation, type ShardRequest, ShardService } from './shard-service.ts';
