'use client';

import type { PmClient } from '@oaas/commons/client/pm';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { toast } from 'sonner';
import { failureOf } from './failure.ts';
import type { Key } from './keys.ts';
import { usePm } from './provider.tsx';

/**
 * Something that a person asks PM to do. Says how it went in a toast and reads anew what it changes; the page shows the
 * result only when PM says so.
 */
export function useAction<Input, Output>(options: {
  readonly run: (pm: PmClient, input: Input) => Promise<Output>;
  readonly done: (input: Input, output: Output) => string;
  readonly failed: (input: Input) => string;
  readonly stale: readonly Key[];
  readonly onDone?: (output: Output) => void;
}) {
  const pm = usePm();
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (input: Input) => options.run(pm, input),
    onSuccess: (output, input) => {
      toast.success(options.done(input, output));
      options.onDone?.(output);
    },
    onError: (error, input) => {
      const failure = failureOf(error);
      toast.error(options.failed(input), {
        description: failure.remedy === null ? failure.detail : `${failure.detail} ${failure.remedy}`,
        duration: 10_000,
      });
    },
    onSettled: () => Promise.all(options.stale.map((queryKey) => queries.invalidateQueries({ queryKey }))),
  });
}
