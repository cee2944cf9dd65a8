import type { Metadata } from 'next';
import { DeploymentPage } from '../../../../src/features/deployments/detail-page.tsx';

interface Props {
  readonly params: Promise<{ readonly id: string }>;
}

export async function generateMetadata({ params }: Props): Promise<Metadata> {
  return { title: decodeURIComponent((await params).id) };
}

export default async function Page({ params }: Props) {
  return <DeploymentPage id={decodeURIComponent((await params).id)} />;
}
