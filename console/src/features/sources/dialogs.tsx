'use client';

import type { Source } from '@oaas/commons/client/pm';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Button } from '../../ui/button.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { Field, Input } from '../../ui/field.tsx';
import { plural } from '../../ui/format.ts';
import { keys } from '../data/keys.ts';
import { usePm } from '../data/provider.tsx';
import { useDeleteSource, useSuspendSource } from './actions.ts';

interface SourceDialogProps {
  readonly source: Source;
  readonly open: boolean;
  readonly onOpenChange: (open: boolean) => void;
}

export function SuspendDialog({ source, open, onOpenChange }: SourceDialogProps) {
  const [reason, setReason] = useState('');
  const suspend = useSuspendSource(() => onOpenChange(false));
  return (
    <Dialog
      open={open}
      onOpenChange={onOpenChange}
      title={`Suspend ${source.name}?`}
      description="What runs keeps running. New commits are not applied until the source is resumed."
      footer={
        <>
          <Button onClick={() => onOpenChange(false)}>Cancel</Button>
          <Button
            kind="primary"
            busy={suspend.isPending}
            disabledReason={reason.trim() === '' ? 'Say why, for those who find it suspended' : null}
            onClick={() => suspend.mutate({ name: source.name, reason: reason.trim() })}
          >
            Suspend
          </Button>
        </>
      }
    >
      <Field label="Reason" hint="Shown to everybody who opens this source.">
        {(ids) => <Input {...ids} value={reason} onChange={(event) => setReason(event.target.value)} autoFocus />}
      </Field>
    </Dialog>
  );
}

export function DeleteDialog({
  source,
  open,
  onOpenChange,
  onDeleted,
}: SourceDialogProps & { readonly onDeleted: () => void }) {
  const [typed, setTyped] = useState('');
  const remove = useDeleteSource(onDeleted);
  const records = useRecordCount(source.name, open);
  return (
    <Dialog
      open={open}
      onOpenChange={onOpenChange}
      title={`Delete ${source.name}?`}
      description="PM forgets the repository, its history and its plans. Nothing in Git changes."
      footer={
        <>
          <Button onClick={() => onOpenChange(false)}>Cancel</Button>
          <Button
            kind="danger"
            busy={remove.isPending}
            disabledReason={typed === source.name ? null : `Type ${source.name} to confirm`}
            onClick={() => remove.mutate(source.name)}
          >
            Delete source
          </Button>
        </>
      }
    >
      <div className="flex flex-col gap-4">
        <p>
          {plural(source.packages, 'package')} came from it
          {records === undefined ? '' : ` and ${plural(records, 'deployment')} run because of it`}. By its prune policy
          (<span className="font-medium">{source.prune}</span>){' '}
          {source.prune === 'keep'
            ? 'they are left running, with nothing in Git behind them.'
            : 'they are removed, except those whose shards hold objects: these wait for a confirmation.'}
        </p>
        <Field label={`Type ${source.name} to confirm`}>
          {(ids) => (
            <Input {...ids} value={typed} onChange={(event) => setTyped(event.target.value)} autoComplete="off" />
          )}
        </Field>
      </div>
    </Dialog>
  );
}

function useRecordCount(source: string, enabled: boolean): number | undefined {
  const pm = usePm();
  const query = { limit: 1, filter: { source } };
  const result = useQuery({
    queryKey: keys.recordList(query),
    queryFn: ({ signal }) => pm.listRecords(query, signal),
    enabled,
  });
  return result.data?.total;
}
