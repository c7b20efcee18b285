package pricing

import "slices"

// Book is a dated list of public list prices. Free tiers, volume discounts and
// taxes are left out: a book gives the marginal price of the first paid unit.
type Book struct {
	Name         string // "aws-lambda-x86_64"
	Provider     string // "aws" or "gcp"
	Region       string
	Architecture string
	AsOf         string // date on which the figures were compared with the sources
	Sources      []string
	Rates        Rates
}

var awsSources = []string{
	"https://aws.amazon.com/lambda/pricing/",
	"https://aws.amazon.com/blogs/compute/aws-lambda-standardizes-billing-for-init-phase/",
	"https://aws.amazon.com/s3/pricing/",
	"https://aws.amazon.com/ec2/pricing/on-demand/#Data_Transfer",
}

// books in the order of their names. Egress is the first paid tier to the
// internet. AWS sells it by the GB and bills GB-seconds by the 1024 MB; both
// are counted in GiB here, as the cost model of this program does.
var books = []Book{
	{
		Name: "aws-lambda-arm64", Provider: "aws", Region: "us-east-1", Architecture: "arm64",
		AsOf: "2026-08-22", Sources: awsSources,
		Rates: Rates{
			PerGiBSecond: 0.0000133334, PerRequest: 0.0000002,
			PerEgressGiB: 0.09, PerPut: 0.000005, PerGet: 0.0000004,
			GranularityUs: 1_000, BillColdStart: true, // INIT is billed since 2025-08-01
		},
	},
	{
		Name: "aws-lambda-x86_64", Provider: "aws", Region: "us-east-1", Architecture: "x86_64",
		AsOf: "2026-08-22", Sources: awsSources,
		Rates: Rates{
			PerGiBSecond: 0.0000166667, PerRequest: 0.0000002,
			PerEgressGiB: 0.09, PerPut: 0.000005, PerGet: 0.0000004,
			GranularityUs: 1_000, BillColdStart: true,
		},
	},
	{
		Name: "gcp-run-functions", Provider: "gcp", Region: "us-central1", Architecture: "x86_64",
		AsOf: "2026-08-22",
		Sources: []string{
			"https://cloud.google.com/run/pricing",
			"https://cloud.google.com/storage/pricing",
			"https://cloud.google.com/vpc/network-pricing",
		},
		Rates: Rates{
			PerGiBSecond: 0.0000025, PerVCPUSecond: 0.000024, PerRequest: 0.0000004,
			PerEgressGiB: 0.12, PerPut: 0.000005, PerGet: 0.0000004,
			GranularityUs: 100_000, BillColdStart: true,
		},
	},
}

// Books lists the price books by name.
func Books() []Book { return slices.Clone(books) }

// Lookup finds a price book by name.
func Lookup(name string) (Book, bool) {
	i := slices.IndexFunc(books, func(b Book) bool { return b.Name == name })
	if i < 0 {
		return Book{}, false
	}
	return books[i], true
}
