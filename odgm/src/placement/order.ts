import type { GridModel } from './model.ts';
import type { DraftMove } from './moves.ts';
import type { MoveCause } from './types.ts';

/** What goes first: lost copies, then what people asked for, then evenness. */
const urgency: Readonly<Record<MoveCause, number>> = {
  repair: 0,
  initial: 1,
  drain: 2,
  'replica-count': 3,
  capacity: 4,
  zone: 5,
  'replica-balance': 6,
  'byte-balance': 7,
  'leftover-learner': 8,
  'leader-balance': 9,
  'ops-balance': 10,
};

/**
 * The order to start moves in: by urgency, shards with fewest live replicas first, receivers in turn so that several
 * new members fill at once. A copy comes before the original goes, so a receiver must have room when its move starts:
 * `stuck` are moves for which that never is.
 */
export function inStartOrder(
  model: GridModel,
  drafts: readonly DraftMove[],
): { readonly drafts: readonly DraftMove[]; readonly stuck: readonly DraftMove[] } {
  const live = (draft: DraftMove): number =>
    draft.why === 'repair' ? draft.shard.original.filter((member) => model.isUp[member]).length : 0;
  const turns = new Map<string, number>();
  const ranked = [...drafts]
    .sort((a, b) => urgency[a.why] - urgency[b.why] || live(a) - live(b) || a.index - b.index || a.to - b.to)
    .map((draft) => {
      const receiver = `${draft.why} ${live(draft)} ${draft.to}`;
      const turn = turns.get(receiver) ?? 0;
      turns.set(receiver, turn + 1);
      return { draft, turn, urgency: urgency[draft.why], live: live(draft) };
    })
    .sort((a, b) => a.urgency - b.urgency || a.live - b.live || a.turn - b.turn || a.draft.to - b.draft.to)
    .map(({ draft }) => draft);
  return model.capacity.every((bytes) => bytes === Infinity) ? { drafts: ranked, stuck: [] } : withRoom(model, ranked);
}

function withRoom(
  model: GridModel,
  ranked: readonly DraftMove[],
): { readonly drafts: readonly DraftMove[]; readonly stuck: readonly DraftMove[] } {
  const used = Float64Array.from(model.bytes);
  for (const { from, to, shard } of ranked) {
    if (to >= 0) used[to] = (used[to] ?? 0) - shard.source.bytes;
    if (from >= 0) used[from] = (used[from] ?? 0) + shard.source.bytes;
  }
  const ordered: DraftMove[] = [];
  let waiting = [...ranked];
  for (;;) {
    const later = waiting.filter((draft) => {
      const { from, to, shard } = draft;
      if (to >= 0 && (used[to] ?? 0) + shard.source.bytes > (model.capacity[to] ?? 0)) return true;
      if (to >= 0) used[to] = (used[to] ?? 0) + shard.source.bytes;
      if (from >= 0) used[from] = (used[from] ?? 0) - shard.source.bytes;
      ordered.push(draft);
      return false;
    });
    if (later.length === 0 || later.length === waiting.length) return { drafts: ordered, stuck: later };
    waiting = later;
  }
}
