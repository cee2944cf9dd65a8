/** What a group does that is worth a span. */
export type RaftOperation =
  /** From the call until the leader has it in its log. */
  | 'propose'
  /** From there until a majority has it. */
  | 'commit'
  /** From there until the state machine has it, and the caller an answer. */
  | 'apply'
  | 'read_index'
  /** From when nobody is known to lead until somebody is. */
  | 'election'
  | 'membership_change'
  | 'transfer_leadership'
  | 'snapshot_send'
  | 'snapshot_receive';

export interface RaftSpan {
  /** Ends this one where another begins beside it. */
  next(operation: RaftOperation, index: number, term: number): RaftSpan;
  note(name: 'index' | 'term' | 'member' | 'leader' | 'bytes', value: number): void;
  end(error?: Error): void;
}

/** Records what groups do. Without one nothing is made for it. */
export interface RaftTracer {
  /** Below what is being done for a caller, if that is why it begins. Undefined: it is not recorded. */
  begin(operation: RaftOperation, group: number, term: number): RaftSpan | undefined;
}

/** Ends the span when the promise is settled. */
export function endWith(span: RaftSpan | undefined, promise: Promise<unknown>): void {
  if (span === undefined) return;
  promise.then(
    () => {
      span.end();
    },
    (error: unknown) => {
      span.end(error instanceof Error ? error : new Error(String(error)));
    },
  );
}
