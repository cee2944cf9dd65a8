/** Channels of the grid, in one place so that no two users take the same. A number keeps its meaning for ever. */
export const channels = {
  /** Who leads which shard. */
  leaders: 1,
} as const;
