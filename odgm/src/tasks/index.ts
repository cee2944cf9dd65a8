/** Long actions on the grid as resumable tasks: rebalance, drain, repair, replica count, consistency check. */
export type * from './types.ts';
