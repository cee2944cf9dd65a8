import { assertNever, oaasError } from '@oaas/commons/errors';
import { applyAlarm, applyCheck, applySettings, clearAlarm } from './apply-checks.ts';
import { deleteCollection, putCollection } from './apply-collections.ts';
import { bootstrap, joinMember, removeMember, setMemberState } from './apply-members.ts';
import { assignShards, foundShard, updateShardReplicas } from './apply-shards.ts';
import { beginMove, cancelTask, claimTask, createTask, endMove, finishTask } from './apply-tasks.ts';
import { reportProgress, setTaskThrottle, startTask } from './apply-tasks.ts';
import { type ApplyResult, type Command, commandVersion, type DecodedCommand } from './commands.ts';
import { refused } from './result.ts';
import type { MetaState } from './types.ts';

/**
 * Applies one committed command to the state, in place. Deterministic: the same commands give the same state on every
 * member. A refused command changes nothing.
 *
 * Throws `FailedPrecondition` when the cluster has agreed on a command version that this build does not know: it must
 * stop, because it can no longer follow.
 */
export function apply(state: MetaState, decoded: DecodedCommand): ApplyResult {
  const agreed = state.cluster?.commandVersion ?? commandVersion;
  if (decoded.version > agreed) {
    const version = `version ${decoded.version}, members agree on ${agreed}`;
    return refused('UnsupportedCommand', `not all members know this command yet (${version})`);
  }
  if (decoded.known) return applyCommand(state, decoded.command);
  throw oaasError('FailedPrecondition', `command ${decoded.type} is of a newer version than this build knows`, {
    remedy: 'Run the version of the other members.',
    details: { version: decoded.version },
  });
}

function applyCommand(state: MetaState, command: Command): ApplyResult {
  if (command.type === 'bootstrap') return bootstrap(state, command);
  const { cluster } = state;
  if (cluster === undefined) return refused('NotBootstrapped', 'the cluster is not bootstrapped');
  switch (command.type) {
    case 'joinMember':
      return joinMember(state, cluster, command);
    case 'setMemberState':
      return setMemberState(state, cluster, command);
    case 'removeMember':
      return removeMember(state, cluster, command);
    case 'putCollection':
      return putCollection(state, cluster, command);
    case 'deleteCollection':
      return deleteCollection(state, cluster, command);
    case 'assignShards':
      return assignShards(state, cluster, command);
    case 'updateShardReplicas':
      return updateShardReplicas(state, cluster, command);
    case 'foundShard':
      return foundShard(state, cluster, command);
    case 'setSettings':
      return applySettings(state, command);
    case 'createTask':
      return createTask(state, cluster, command);
    case 'startTask':
      return startTask(state, cluster, command);
    case 'cancelTask':
      return cancelTask(state, cluster, command);
    case 'setTaskThrottle':
      return setTaskThrottle(state, command);
    case 'claimTask':
      return claimTask(state, command);
    case 'beginMove':
      return beginMove(state, command);
    case 'progress':
      return reportProgress(state, cluster, command);
    case 'endMove':
      return endMove(state, command);
    case 'finishTask':
      return finishTask(state, command);
    case 'recordCheck':
      return applyCheck(state, cluster, command);
    case 'setAlarm':
      return applyAlarm(state, command);
    case 'clearAlarm':
      return clearAlarm(state, command);
    default:
      return assertNever(command);
  }
}
