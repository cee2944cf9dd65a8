import type { World } from './run.ts';

/** A seed that once failed, and why. It is played again by every run of the tests. */
export interface KnownSeed {
  readonly seed: number;
  readonly nodes: number;
  /** Default: groups. */
  readonly world?: World;
  readonly why: string;
}

/** What a seed does follows from the plan too: after a change there, a mutation keeps the bug found where a seed does not. */
export const knownSeeds: readonly KnownSeed[] = [
  {
    ...{ seed: 7_000_985, nodes: 5 },
    why: 'of a quorum that was healed, a removal that was under way left too few',
  },
  {
    ...{ seed: 1_795_348_542, nodes: 5 },
    why: 'under its lease a leader read what it had applied, though others had shown more, which was committed',
  },
  {
    ...{ seed: 5_000_511, nodes: 5, world: 'nodes' as const },
    why: 'of two voters that became one, the one that was left did not know it, and the other had more and no vote to stand with',
  },
  {
    seed: 78,
    nodes: 5,
    why: 'a replica that was removed while it took a snapshot left records to the next replica of its member',
  },
  {
    ...{ seed: 207, nodes: 5, world: 'nodes' as const },
    why: 'a rebalance that came before the first placement gave shards one replica after the other, of which none could begin',
  },
  {
    ...{ seed: 1021, nodes: 5, world: 'nodes' as const },
    why: 'a member whose own replica went forgot who leads the shard, and nobody said so again: its tasks waited for ever',
  },
  {
    ...{ seed: 3079, nodes: 5, world: 'nodes' as const },
    why: 'a replica that was removed while a snapshot was being installed left its content to the next one of its member',
  },
  {
    ...{ seed: 7110, nodes: 5, world: 'nodes' as const },
    why: 'a member that came back did not know the one that led by then, refused its link, and never heard what it lacked',
  },
  {
    ...{ seed: 30113, nodes: 5, world: 'nodes' as const },
    why: 'a replica got a vote before it was there: what it lacked of a short log passed for having caught up',
  },
  {
    ...{ seed: 100_176, nodes: 5, world: 'nodes' as const },
    why: 'a replica that was made anew gave its vote to one that still took it for the replica before it',
  },
  {
    ...{ seed: 100_437, nodes: 5, world: 'nodes' as const },
    why: 'a snapshot was written under the number of one that was given up and deleted, and a crash brought that one back into it',
  },
  {
    ...{ seed: 103_615, nodes: 5, world: 'storms' as const },
    why: 'a comparison that was answered by a former replica went on with the new one of its member, which then passed for complete',
  },
  {
    ...{ seed: 1_001_858, nodes: 5, world: 'storms' as const },
    why: 'what a former replica brought was let in when others were about to take all so old for known everywhere',
  },
  {
    ...{ seed: 1_795_325_498, nodes: 5, world: 'storms' as const },
    why: 'the check took for lost what only a replaced replica had of an object, of which the others had the rest',
  },
  {
    ...{ seed: 350_016_339, nodes: 5, world: 'storms' as const },
    why: 'the check took for lost an entry that only a replaced replica had, of an object that it had changed elsewhere since',
  },
  {
    ...{ seed: 219, nodes: 5, world: 'nodes' as const },
    why: 'a repair that was cancelled was not begun again until a leader whose clock was far behind had caught up with its end',
  },
  {
    ...{ seed: 31_000_754, nodes: 5, world: 'groups' as const },
    why: 'a snapshot whose sender was cut off held its place for a minute, and the next leader could not send its own',
  },
  {
    ...{ seed: 91_000_165, nodes: 5, world: 'nodes' as const },
    why: 'a running node that was cut off did not know the member that led by then, refused its link, and never heard what it lacked',
  },
  {
    ...{ seed: 352_003_606, nodes: 5, world: 'nodes' as const },
    why: 'a node without a vote in the meta group went on naming the leader that it had before it was cut off, and so never asked who leads now',
  },
  {
    ...{ seed: 96_001_989, nodes: 5, world: 'nodes' as const },
    why: 'a new leader gave a shard its first and only place on a member that had been cut off before it began to lead',
  },
  {
    ...{ seed: 120_000_134, nodes: 5, world: 'nodes' as const },
    why: 'a voter was taken out to be made anew by a step that was on its way while another voter lost its disk',
  },
  {
    ...{ seed: 5028, nodes: 5, world: 'nodes' as const },
    why: 'a leader was killed before its term was on disk, won the same term again, and put another entry in the place of one of its own',
  },
  {
    ...{ seed: 130_000_594, nodes: 5, world: 'nodes' as const },
    why: 'a cancelled move went by the members of a leader that had yet to apply a change, and left a replica behind that nobody counted',
  },
  {
    ...{ seed: 140_000_327, nodes: 5, world: 'nodes' as const },
    why: 'a move waited for its next try until the hour of a clock that had been ahead',
  },
  {
    ...{ seed: 170_000_313, nodes: 5, world: 'nodes' as const },
    why: 'a voter was taken out to be made anew while another had lost its disk and its leader had not noticed yet',
  },
  {
    ...{ seed: 250_000_064, nodes: 5, world: 'nodes' as const },
    why: 'a former replica had what was stamped too far in the future, could not hand it over, and did not try again',
  },
  {
    ...{ seed: 310_001_989, nodes: 5, world: 'nodes' as const },
    why: 'the first replicas of a shard that merge opened after a new one was recorded, and waited for each other to have what they lacked',
  },
];
