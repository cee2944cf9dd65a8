import type { GridLayout } from '../../record/index.ts';
import type { GridObservation } from '../observe/grid.ts';
import type { WorkloadFacts } from '../observe/workloads.ts';
import type { Selection } from '../template.ts';

export interface AppliedChild {
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly action: 'created' | 'updated' | 'unchanged' | 'pruned';
  /** The object was not as rendered though nothing new was rendered: someone else changed it. */
  readonly drift?: readonly string[];
}

export interface ServiceFacts {
  /** `grid`, or a function's key. */
  readonly name: string;
  readonly service: string;
  readonly port: number;
  /** host:port for callers; outside the cluster where the Service has a node port. */
  readonly address: string;
  readonly isBound: boolean;
}

export interface LayoutFacts {
  readonly wanted: GridLayout;
  /** What the grid gets: the wanted layout, or the one it has while a change is held back. */
  readonly effective: GridLayout;
  /** What is held back, and why. */
  readonly blocked?: { readonly changes: readonly string[]; readonly why: string } | undefined;
}

/** What the steps found and did. No opinion: that is `summarise`. */
export interface Facts {
  readonly selection?: Selection | undefined;
  readonly layout?: LayoutFacts | undefined;
  readonly applied: readonly AppliedChild[];
  readonly workloads?: readonly WorkloadFacts[] | undefined;
  readonly services?: readonly ServiceFacts[] | undefined;
  readonly grid?: GridObservation | undefined;
  /** Children and claims that are still there while the record goes. */
  readonly remaining?: readonly string[] | undefined;
}

export const noFacts: Facts = { applied: [] };
