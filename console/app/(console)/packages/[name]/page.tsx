import type { Metadata } from 'next';
import { PackagePage } from '../../../../src/features/packages/detail-page.tsx';

interface Props {
  readonly params: Promise<{ readonly name: string }>;
}

export async function generateMetadata({ params }: Props): Promise<Metadata> {
  return { title: decodeURIComponent((await params).name) };
}

export default async function Page({ params }: Props) {
  return <PackagePage name={decodeURIComponent((await params).name)} />;
}
