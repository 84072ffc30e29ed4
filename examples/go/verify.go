package main

import (
	"hash/crc32"

	pb "userstream/v1"
)

// What to check before a result counts as complete: docs/clients.md as code.

// integrityError says that the answer is not what the service promises; calling again in silence would hide it.
type integrityError string

func (e integrityError) Error() string { return string(e) }

// verifier keeps count, CRC-32 and order of a scan, across all its attempts.
type verifier struct {
	limit      int64
	count      int64
	crc        uint32
	receipt    *pb.StreamReceipt
	lastID     string
	resumes    int32
	resumedNow bool
}

// complete says whether another call would bring nothing.
func (v *verifier) complete() bool {
	return v.receipt != nil || v.limit > 0 && v.count == v.limit
}

// beginAttempt notes where an attempt begins; it counts as a resume once it brings a message.
func (v *verifier) beginAttempt(token string) { v.resumedNow = token != "" }

// add checks one message and counts its users.
func (v *verifier) add(users []*pb.User, order pb.KeyOrder) error {
	if v.receipt != nil {
		return integrityError("a message came after the receipt")
	}
	if v.resumedNow {
		v.resumes++
		v.resumedNow = false
	}
	if v.limit > 0 && v.count+int64(len(users)) > v.limit {
		return integrityError("more users came than the limit")
	}
	bytewise := order == pb.KeyOrder_KEY_ORDER_UNSPECIFIED
	known := map[string]bool{v.lastID: true}
	for _, user := range users {
		id := user.GetUserId()
		if known[id] || bytewise && id <= v.lastID {
			return integrityError("a user came out of order, or twice")
		}
		known[id] = true
		v.lastID = id
		v.count++
		v.crc = crc32.Update(v.crc, crc32.IEEETable, []byte(id))
	}
	return nil
}

// close compares the receipt with what came.
func (v *verifier) close(receipt *pb.StreamReceipt) error {
	switch {
	case receipt.GetUserCount() != v.count || receipt.GetUserIdCrc32() != v.crc:
		return integrityError("the receipt's count or CRC-32 is not that of the users received")
	case receipt.GetConsistency() != pb.Consistency_CONSISTENCY_LIVE:
		return integrityError("the receipt names another consistency than was requested")
	case receipt.GetResumedCount() < v.resumes:
		return integrityError("the receipt counts fewer resumes than there were")
	}
	v.receipt = receipt
	return nil
}
