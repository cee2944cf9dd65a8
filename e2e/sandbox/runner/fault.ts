/** Why a container waits, as `kubectl get pods` shows it. */
export type FaultReason = 'ErrImagePull' | 'CreateContainerConfigError' | 'RunContainerError' | 'ContainerCreating';

/** A container cannot be started now. The runner shows the reason in its status, and tries again with a backoff. */
export class RunnerFault extends Error {
  readonly reason: FaultReason;

  constructor(reason: FaultReason, message: string) {
    super(message);
    this.name = 'RunnerFault';
    this.reason = reason;
  }
}
